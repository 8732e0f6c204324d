"""Methods: one paper per file, each a frozen dataclass that builds a `ssljax.method.Method`."""

from ssljax.methods.adain import AdaIN
from ssljax.methods.adamatch import AdaMatch
from ssljax.methods.autoencoder import Autoencoder
from ssljax.methods.barlow_twins import BarlowTwins
from ssljax.methods.bert import BERT
from ssljax.methods.bgrl import BGRL
from ssljax.methods.bpr import BPR
from ssljax.methods.byol import BYOL
from ssljax.methods.clip import CLIP
from ssljax.methods.colorization import Colorization
from ssljax.methods.complex_ import ComplEx
from ssljax.methods.context_encoder import ContextEncoder
from ssljax.methods.data2vec import Data2Vec
from ssljax.methods.data2vec_audio import Data2VecAudio
from ssljax.methods.dcl import DCL
from ssljax.methods.deepcluster import DeepCluster
from ssljax.methods.deepfm import DeepFM
from ssljax.methods.dgi import DGI
from ssljax.methods.dino import DINO
from ssljax.methods.dinov2 import DINOv2
from ssljax.methods.distmult import DistMult
from ssljax.methods.electra import ELECTRA
from ssljax.methods.fixmatch import FixMatch
from ssljax.methods.flexmatch import FlexMatch
from ssljax.methods.fm import FM
from ssljax.methods.freematch import FreeMatch
from ssljax.methods.gan import GAN
from ssljax.methods.gpt import GPT
from ssljax.methods.grace import GRACE
from ssljax.methods.graphmae import GraphMAE
from ssljax.methods.hubert import HuBERT
from ssljax.methods.ibot import IBOT
from ssljax.methods.ijepa import IJEPA
from ssljax.methods.jigsaw import Jigsaw
from ssljax.methods.joint_masked import JointMasked
from ssljax.methods.lejepa import LeJEPA
from ssljax.methods.lr import LR
from ssljax.methods.mae import MAE
from ssljax.methods.mean_teacher import MeanTeacher
from ssljax.methods.moco_v2 import MoCoV2
from ssljax.methods.moco_v3 import MoCoV3
from ssljax.methods.msn import MSN
from ssljax.methods.nnclr import NNCLR
from ssljax.methods.pseudo_label import PseudoLabel
from ssljax.methods.relative_patch import RelativePatch
from ssljax.methods.rotate import RotatE
from ssljax.methods.rotation import Rotation
from ssljax.methods.scan import SCAN, SelfLabel
from ssljax.methods.siglip import SigLIP
from ssljax.methods.simclr import SimCLR
from ssljax.methods.simcse import SimCSE
from ssljax.methods.simgcl import SimGCL
from ssljax.methods.simmim import SimMIM
from ssljax.methods.simsiam import SimSiam
from ssljax.methods.softmatch import SoftMatch
from ssljax.methods.student import Student
from ssljax.methods.supcon import SupCon
from ssljax.methods.supervised import Supervised
from ssljax.methods.swav import SwAV
from ssljax.methods.t5 import T5
from ssljax.methods.tico import TiCo
from ssljax.methods.transe import TransE
from ssljax.methods.uda import UDA
from ssljax.methods.vae import VAE
from ssljax.methods.vgae import VGAE
from ssljax.methods.vicreg import VICReg
from ssljax.methods.wav2vec2 import Wav2Vec2
from ssljax.methods.wmse import WMSE

__all__ = [
    "BERT",
    "BGRL",
    "BPR",
    "BYOL",
    "CLIP",
    "DCL",
    "DGI",
    "DINO",
    "ELECTRA",
    "FM",
    "GAN",
    "GPT",
    "GRACE",
    "IBOT",
    "IJEPA",
    "LR",
    "MAE",
    "MSN",
    "NNCLR",
    "SCAN",
    "T5",
    "UDA",
    "VAE",
    "VGAE",
    "WMSE",
    "AdaIN",
    "AdaMatch",
    "Autoencoder",
    "BarlowTwins",
    "Colorization",
    "ComplEx",
    "ContextEncoder",
    "DINOv2",
    "Data2Vec",
    "Data2VecAudio",
    "DeepCluster",
    "DeepFM",
    "DistMult",
    "FixMatch",
    "FlexMatch",
    "FreeMatch",
    "GraphMAE",
    "HuBERT",
    "Jigsaw",
    "JointMasked",
    "LeJEPA",
    "MeanTeacher",
    "MoCoV2",
    "MoCoV3",
    "PseudoLabel",
    "RelativePatch",
    "RotatE",
    "Rotation",
    "SelfLabel",
    "SigLIP",
    "SimCLR",
    "SimCSE",
    "SimGCL",
    "SimMIM",
    "SimSiam",
    "SoftMatch",
    "Student",
    "SupCon",
    "Supervised",
    "SwAV",
    "TiCo",
    "TransE",
    "VICReg",
    "Wav2Vec2",
]
