"""Methods: one paper per file, each a frozen dataclass that builds a `ssljax.method.Method`.

A file is read when its method is first asked for: what one of them imports, another need not have.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssljax.methods.adain import AdaIN as AdaIN
    from ssljax.methods.adamatch import AdaMatch as AdaMatch
    from ssljax.methods.autoencoder import Autoencoder as Autoencoder
    from ssljax.methods.barlow_twins import BarlowTwins as BarlowTwins
    from ssljax.methods.bert import BERT as BERT
    from ssljax.methods.bert4rec import BERT4Rec as BERT4Rec
    from ssljax.methods.best_rq import BestRQ as BestRQ
    from ssljax.methods.bgrl import BGRL as BGRL
    from ssljax.methods.bpr import BPR as BPR
    from ssljax.methods.byol import BYOL as BYOL
    from ssljax.methods.cl4srec import CL4SRec as CL4SRec
    from ssljax.methods.clip import CLIP as CLIP
    from ssljax.methods.colorization import Colorization as Colorization
    from ssljax.methods.complex_ import ComplEx as ComplEx
    from ssljax.methods.context_encoder import ContextEncoder as ContextEncoder
    from ssljax.methods.cvrl import CVRL as CVRL
    from ssljax.methods.data2vec import Data2Vec as Data2Vec
    from ssljax.methods.data2vec_audio import Data2VecAudio as Data2VecAudio
    from ssljax.methods.dcl import DCL as DCL
    from ssljax.methods.deepcluster import DeepCluster as DeepCluster
    from ssljax.methods.deepfm import DeepFM as DeepFM
    from ssljax.methods.denoising import Denoising as Denoising
    from ssljax.methods.dgi import DGI as DGI
    from ssljax.methods.dino import DINO as DINO
    from ssljax.methods.dinov2 import DINOv2 as DINOv2
    from ssljax.methods.distmult import DistMult as DistMult
    from ssljax.methods.dual_encoder import DualEncoder as DualEncoder
    from ssljax.methods.electra import ELECTRA as ELECTRA
    from ssljax.methods.fastspeech import FastSpeech as FastSpeech
    from ssljax.methods.fixmatch import FixMatch as FixMatch
    from ssljax.methods.flexmatch import FlexMatch as FlexMatch
    from ssljax.methods.fm import FM as FM
    from ssljax.methods.freematch import FreeMatch as FreeMatch
    from ssljax.methods.gan import GAN as GAN
    from ssljax.methods.gpt import GPT as GPT
    from ssljax.methods.grace import GRACE as GRACE
    from ssljax.methods.graphmae import GraphMAE as GraphMAE
    from ssljax.methods.hubert import HuBERT as HuBERT
    from ssljax.methods.ibot import IBOT as IBOT
    from ssljax.methods.ijepa import IJEPA as IJEPA
    from ssljax.methods.jigsaw import Jigsaw as Jigsaw
    from ssljax.methods.joint_masked import JointMasked as JointMasked
    from ssljax.methods.lejepa import LeJEPA as LeJEPA
    from ssljax.methods.lr import LR as LR
    from ssljax.methods.mae import MAE as MAE
    from ssljax.methods.mean_teacher import MeanTeacher as MeanTeacher
    from ssljax.methods.moco_v2 import MoCoV2 as MoCoV2
    from ssljax.methods.moco_v3 import MoCoV3 as MoCoV3
    from ssljax.methods.msn import MSN as MSN
    from ssljax.methods.musicvae import MusicVAE as MusicVAE
    from ssljax.methods.next_frame import NextFrame as NextFrame
    from ssljax.methods.nnclr import NNCLR as NNCLR
    from ssljax.methods.pseudo_label import PseudoLabel as PseudoLabel
    from ssljax.methods.relative_patch import RelativePatch as RelativePatch
    from ssljax.methods.rotate import RotatE as RotatE
    from ssljax.methods.rotation import Rotation as Rotation
    from ssljax.methods.sasrec import SASRec as SASRec
    from ssljax.methods.scan import SCAN as SCAN
    from ssljax.methods.scan import SelfLabel as SelfLabel
    from ssljax.methods.siglip import SigLIP as SigLIP
    from ssljax.methods.simclr import SimCLR as SimCLR
    from ssljax.methods.simcse import SimCSE as SimCSE
    from ssljax.methods.simgcl import SimGCL as SimGCL
    from ssljax.methods.simmim import SimMIM as SimMIM
    from ssljax.methods.simsiam import SimSiam as SimSiam
    from ssljax.methods.softmatch import SoftMatch as SoftMatch
    from ssljax.methods.student import Student as Student
    from ssljax.methods.supcon import SupCon as SupCon
    from ssljax.methods.supervised import Supervised as Supervised
    from ssljax.methods.swav import SwAV as SwAV
    from ssljax.methods.t5 import T5 as T5
    from ssljax.methods.tico import TiCo as TiCo
    from ssljax.methods.transe import TransE as TransE
    from ssljax.methods.ts2vec import TS2Vec as TS2Vec
    from ssljax.methods.uda import UDA as UDA
    from ssljax.methods.unimatch import UniMatch as UniMatch
    from ssljax.methods.vae import VAE as VAE
    from ssljax.methods.vgae import VGAE as VGAE
    from ssljax.methods.vicreg import VICReg as VICReg
    from ssljax.methods.videomae import VideoMAE as VideoMAE
    from ssljax.methods.wav2vec2 import Wav2Vec2 as Wav2Vec2
    from ssljax.methods.wmse import WMSE as WMSE

FILES = {
    "AdaIN": "adain",
    "AdaMatch": "adamatch",
    "Autoencoder": "autoencoder",
    "BarlowTwins": "barlow_twins",
    "BERT": "bert",
    "BERT4Rec": "bert4rec",
    "BestRQ": "best_rq",
    "BGRL": "bgrl",
    "BPR": "bpr",
    "BYOL": "byol",
    "CL4SRec": "cl4srec",
    "CLIP": "clip",
    "Colorization": "colorization",
    "ComplEx": "complex_",
    "ContextEncoder": "context_encoder",
    "CVRL": "cvrl",
    "Data2Vec": "data2vec",
    "Data2VecAudio": "data2vec_audio",
    "DCL": "dcl",
    "DeepCluster": "deepcluster",
    "DeepFM": "deepfm",
    "Denoising": "denoising",
    "DGI": "dgi",
    "DINO": "dino",
    "DINOv2": "dinov2",
    "DistMult": "distmult",
    "DualEncoder": "dual_encoder",
    "ELECTRA": "electra",
    "FastSpeech": "fastspeech",
    "FixMatch": "fixmatch",
    "FlexMatch": "flexmatch",
    "FM": "fm",
    "FreeMatch": "freematch",
    "GAN": "gan",
    "GPT": "gpt",
    "GRACE": "grace",
    "GraphMAE": "graphmae",
    "HuBERT": "hubert",
    "IBOT": "ibot",
    "IJEPA": "ijepa",
    "Jigsaw": "jigsaw",
    "JointMasked": "joint_masked",
    "LeJEPA": "lejepa",
    "LR": "lr",
    "MAE": "mae",
    "MeanTeacher": "mean_teacher",
    "MoCoV2": "moco_v2",
    "MoCoV3": "moco_v3",
    "MSN": "msn",
    "MusicVAE": "musicvae",
    "NextFrame": "next_frame",
    "NNCLR": "nnclr",
    "PseudoLabel": "pseudo_label",
    "RelativePatch": "relative_patch",
    "RotatE": "rotate",
    "Rotation": "rotation",
    "SASRec": "sasrec",
    "SCAN": "scan",
    "SelfLabel": "scan",
    "SigLIP": "siglip",
    "SimCLR": "simclr",
    "SimCSE": "simcse",
    "SimGCL": "simgcl",
    "SimMIM": "simmim",
    "SimSiam": "simsiam",
    "SoftMatch": "softmatch",
    "Student": "student",
    "SupCon": "supcon",
    "Supervised": "supervised",
    "SwAV": "swav",
    "T5": "t5",
    "TiCo": "tico",
    "TransE": "transe",
    "TS2Vec": "ts2vec",
    "UDA": "uda",
    "UniMatch": "unimatch",
    "VAE": "vae",
    "VGAE": "vgae",
    "VICReg": "vicreg",
    "VideoMAE": "videomae",
    "Wav2Vec2": "wav2vec2",
    "WMSE": "wmse",
}

__all__ = sorted(FILES)


def __getattr__(name: str) -> Any:
    if name not in FILES:
        raise AttributeError(f"module 'ssljax.methods' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ssljax.methods.{FILES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *FILES})
