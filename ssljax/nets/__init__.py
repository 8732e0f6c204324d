"""Networks: the Flax modules, and the two functions through which everything else uses them."""

from ssljax.nets.apply import apply, init
from ssljax.nets.autoencoder import ConvDecoder, ConvEncoder, VariationalEncoder, blend, draw
from ssljax.nets.bert import (
    Bert,
    Pooler,
    RealHead,
    TokenHead,
    bert,
    mean_tokens,
    roberta,
    segments_of,
    text_inputs,
    tied_logits,
    word_table,
)
from ssljax.nets.bytenet import ByteNet
from ssljax.nets.chain import apply_chain, apply_crops, apply_each, apply_groups, init_chain
from ssljax.nets.clip import ImageTower, TextTower, siglip_image, siglip_text
from ssljax.nets.decoder import Decoder
from ssljax.nets.fastspeech import FrameWriter, TextReader, stretched
from ssljax.nets.fcos import FCOS
from ssljax.nets.few import apply_few
from ssljax.nets.fields import DeepFields, FieldVectors, pair_sum
from ssljax.nets.gan import (
    DiscriminatorHead,
    DiscriminatorTrunk,
    Generator,
    init_discriminator,
    score,
)
from ssljax.nets.gpt2 import GPT2, gpt2
from ssljax.nets.gpt2_writer import GPT2Writer
from ssljax.nets.graph import GAT, GCN, GIN, RGCN, GraphNet, GraphSAGE, edge_list, permuted
from ssljax.nets.hog import HOG, hog
from ssljax.nets.joint import JointViT
from ssljax.nets.mel import MelEncoder
from ssljax.nets.melody import MelodyDecoder, MelodyEncoder, slerp
from ssljax.nets.mlp import MLP
from ssljax.nets.pixels import PixelHead
from ssljax.nets.prototypes import DINOHead, freeze, unit_rows
from ssljax.nets.quantizer import Quantizer
from ssljax.nets.r3d import R3D
from ssljax.nets.recurrent import LSTM
from ssljax.nets.resnet import ResNet, SmallConv
from ssljax.nets.searching import Written, beam_search, draws, filter_logits, likeliest, write
from ssljax.nets.series import FCN, InceptionTime
from ssljax.nets.start import by_depth, xavier
from ssljax.nets.style import StyleDecoder, StyleEncoder
from ssljax.nets.t5 import T5Decoder, T5Encoder, shared_table, t5
from ssljax.nets.t5_writer import T5Writer
from ssljax.nets.towers import Tower, init_towers, run_towers, tower_inputs, two_towers
from ssljax.nets.unet import UNetDecoder, UNetEncoder
from ssljax.nets.vectors import Vectors
from ssljax.nets.video_vit import VideoViT, counted_positions
from ssljax.nets.vit import ViT, resize_positions, sincos_positions, vit
from ssljax.nets.wav2vec2 import (
    SpeechOutputs,
    Wav2Vec2Encoder,
    apply_speech,
    audio_inputs,
    mean_frames,
    scale_gradient,
    wav2vec2,
)
from ssljax.nets.wide_resnet import WideResNet

__all__ = [
    "FCN",
    "FCOS",
    "GAT",
    "GCN",
    "GIN",
    "GPT2",
    "HOG",
    "LSTM",
    "MLP",
    "R3D",
    "RGCN",
    "Bert",
    "ByteNet",
    "ConvDecoder",
    "ConvEncoder",
    "DINOHead",
    "Decoder",
    "DeepFields",
    "DiscriminatorHead",
    "DiscriminatorTrunk",
    "FieldVectors",
    "FrameWriter",
    "GPT2Writer",
    "Generator",
    "GraphNet",
    "GraphSAGE",
    "ImageTower",
    "InceptionTime",
    "JointViT",
    "MelEncoder",
    "MelodyDecoder",
    "MelodyEncoder",
    "PixelHead",
    "Pooler",
    "Quantizer",
    "RealHead",
    "ResNet",
    "SmallConv",
    "SpeechOutputs",
    "StyleDecoder",
    "StyleEncoder",
    "T5Decoder",
    "T5Encoder",
    "T5Writer",
    "TextReader",
    "TextTower",
    "TokenHead",
    "Tower",
    "UNetDecoder",
    "UNetEncoder",
    "VariationalEncoder",
    "Vectors",
    "ViT",
    "VideoViT",
    "Wav2Vec2Encoder",
    "WideResNet",
    "Written",
    "apply",
    "apply_chain",
    "apply_crops",
    "apply_each",
    "apply_few",
    "apply_groups",
    "apply_speech",
    "audio_inputs",
    "beam_search",
    "bert",
    "blend",
    "by_depth",
    "counted_positions",
    "draw",
    "draws",
    "edge_list",
    "filter_logits",
    "freeze",
    "gpt2",
    "hog",
    "init",
    "init_chain",
    "init_discriminator",
    "init_towers",
    "likeliest",
    "mean_frames",
    "mean_tokens",
    "pair_sum",
    "permuted",
    "resize_positions",
    "roberta",
    "run_towers",
    "scale_gradient",
    "score",
    "segments_of",
    "shared_table",
    "siglip_image",
    "siglip_text",
    "sincos_positions",
    "slerp",
    "stretched",
    "t5",
    "text_inputs",
    "tied_logits",
    "tower_inputs",
    "two_towers",
    "unit_rows",
    "vit",
    "wav2vec2",
    "word_table",
    "write",
    "xavier",
]
