"""A tiny voice with the files, the interface and the graph structure of a Piper (VITS) export.

Every test of the pipeline runs on it in seconds, with no download and no licence to watch. Its weights are
random, scaled so that durations are a few frames and the sound is audible.

    python tests/tiny_voice.py OUT/tiny.onnx --speakers 3
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from tiny_vits import HIDDEN, LATENTS, SPEAKER
from tiny_vits.durations import DurationPredictor
from tiny_vits.sound import BRANCHES, Decoder, Flow
from tiny_vits.text import TextEncoder
from torch import Tensor, nn
from torch.nn import functional as F

SYMBOLS = (
    "_^$ !'(),-.:;?abcdefhijklmnopqrstuvwxyzæçðøħŋœǀǁǂǃɐɑɒɓɔɕɖɗɘəɚɛɜɞɟɠɡɢɣɤɥɦɧɨɪɫɬɭɮɯɰɱɲɳɴɵɶɸɹɺɻɽɾ"
    'ʀʁʂʃʄʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʛʜʝʟʡʢʲˈˌːˑ˞βθχᵻⱱ0123456789\u0327\u0303\u032a\u032f\u0329ʰˤε↓#"'
)  # the id of a symbol is its place
TextSide = tuple[Tensor, Tensor, Tensor, Tensor, "Tensor | None"]


def mask_of(lengths: Tensor) -> Tensor:
    """Lengths [B] -> bool [B, max(lengths)], true where a column is in use."""
    columns: Tensor = torch.arange(lengths.max())  # type: ignore[call-overload]  # the tracer needs the tensor
    return columns.unsqueeze(0) < lengths.unsqueeze(1)


class Voice(nn.Module):
    def __init__(self, speakers: int, resblock: str, symbols: int = 256) -> None:
        super().__init__()
        self.enc_p = TextEncoder(symbols)
        self.dp = DurationPredictor(speakers)
        self.flow = Flow(speakers)
        self.dec = Decoder(speakers, resblock)
        self.emb_g = nn.Embedding(speakers, SPEAKER) if speakers > 1 else None

    def text_side(self, ids: Tensor, lengths: Tensor, scales: Tensor, sid: Tensor | None = None) -> TextSide:
        """Log durations [B,1,T], means and log deviations [B,M,T], mask [B,1,T], speaker [B,SPEAKER,1]."""
        x, mean, log_scale, mask = self.enc_p(ids, lengths)
        speaker = None if self.emb_g is None else self.emb_g(sid).unsqueeze(-1)
        return self.dp(x, mask, speaker, scales[2]), mean, log_scale, mask, speaker

    def forward(self, ids: Tensor, lengths: Tensor, scales: Tensor, sid: Tensor | None = None) -> Tensor:
        noise_scale, length_scale = scales[0], scales[1]
        log_durations, mean, log_scale, mask, speaker = self.text_side(ids, lengths, scales, sid)
        durations = torch.ceil(torch.exp(log_durations) * mask * length_scale)
        totals = torch.clamp_min(torch.sum(durations, [1, 2]), 1).long()
        frame_mask = mask_of(totals).unsqueeze(1).to(mask.dtype)
        path = self.path(durations, mask.unsqueeze(2) * frame_mask.unsqueeze(-1)).squeeze(1)
        mean = (path @ mean.transpose(1, 2)).transpose(1, 2)
        log_scale = (path @ log_scale.transpose(1, 2)).transpose(1, 2)
        z = mean + torch.randn_like(mean) * torch.exp(log_scale) * noise_scale
        sound: Tensor = self.dec(self.flow(z, frame_mask, speaker) * frame_mask, speaker)
        return sound.unsqueeze(1)

    @staticmethod
    def path(durations: Tensor, mask: Tensor) -> Tensor:
        """Durations [B,1,T] and the mask [B,1,F,T] -> [B,1,F,T]: which symbol each frame comes from."""
        batch, _, frames, symbols = mask.shape
        ends = torch.cumsum(durations, dim=-1).reshape(batch * symbols)
        before = (torch.arange(frames, dtype=ends.dtype).unsqueeze(0) < ends.unsqueeze(1)).to(mask.dtype)
        before = before.reshape(batch, symbols, frames)
        own = before - F.pad(before, (0, 0, 1, 0))[:, :-1]
        return own.unsqueeze(1).transpose(2, 3) * mask


def initialise(voice: Voice, example: tuple[Tensor, ...]) -> None:
    """Scale the random weights: durations that differ, a sound without offset that follows its input."""
    for conv in (part for part in voice.dec.modules() if isinstance(part, (nn.Conv1d, nn.ConvTranspose1d))):
        taps = 2 if isinstance(conv, nn.ConvTranspose1d) else conv.kernel_size[0]
        nn.init.normal_(conv.weight, std=(conv.in_channels * taps) ** -0.5)
        if conv.bias is not None:
            nn.init.normal_(conv.bias, std=0.01)
    nn.init.normal_(voice.enc_p.emb.weight, std=HIDDEN**-0.5)
    for name in ("enc_p.proj", "dp.proj", "dp.flows.3.proj", "dp.flows.5.proj", "dp.flows.7.proj"):
        nn.init.normal_(voice.get_parameter(f"{name}.weight"), std=1.5 * HIDDEN**-0.5)
    voice.get_parameter("enc_p.proj.weight")[LATENTS:] *= 0.1
    voice.get_parameter("enc_p.proj.bias")[LATENTS:] = -1.5  # the sampled part stays below the voice
    log_durations = voice.text_side(*example)[0]
    spread = log_durations.std() / 0.3
    shift, log_scale = voice.get_parameter("dp.flows.0.m"), voice.get_parameter("dp.flows.0.logs")
    shift.add_((log_durations.mean() - 0.95 * spread) * torch.exp(log_scale))
    log_scale.add_(torch.log(spread))
    last = voice.dec.conv_post.weight
    last -= last.mean(dim=2, keepdim=True)
    last *= 0.25 / torch.atanh(voice(*example).clamp(-0.999, 0.999)).std()


def export(voice: Voice, example: tuple[Tensor, ...], path: Path) -> None:
    # Four names whatever the voice takes: so the embedding of a released single-speaker voice came to be
    # called "sid", and code that looks for that name must not take it for an input.
    names = ["input", "input_lengths", "scales", "sid"]
    batch = {0: "batch_size"}
    axes = {"input": {**batch, 1: "phonemes"}, "input_lengths": batch, "output": {**batch, 1: "time"}}
    if len(example) == len(names):
        axes["sid"] = batch
    with warnings.catch_warnings():  # the tracer warns of each shape it makes a constant, and of its own age
        warnings.simplefilter("ignore")
        torch.onnx.export(
            voice, example, str(path), dynamo=False, opset_version=15,
            input_names=names, output_names=["output"], dynamic_axes=axes,
        )  # fmt: skip


def fold(path: Path) -> None:
    """Turn constants, and what depends on nothing else, into shared initialisers, as in released voices."""
    model = onnx.load(path)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        if not all(name in values for name in node.input if name):
            kept.append(node)
            continue
        feeds = {name: values[name] for name in node.input if name}
        for name, value in zip(node.output, ReferenceEvaluator(node).run(None, feeds), strict=True):
            first = shared.setdefault((value.dtype.str, value.shape, value.tobytes()), name)
            renamed[name] = first
            values[first] = value
    used = {name for node in kept for name in node.input}
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if name in used
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def config(name: str, speakers: int, sample_rate: int) -> dict[str, object]:
    return {
        "audio": {"sample_rate": sample_rate, "quality": "tiny"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": {symbol: [index] for index, symbol in enumerate(SYMBOLS)},
        "num_symbols": 256,
        "num_speakers": speakers,
        "speaker_id_map": {f"speaker_{index}": index for index in range(speakers)} if speakers > 1 else {},
        "piper_version": "1.0.0",
        "language": {
            "code": "en_US", "family": "en", "region": "US", "name_native": "English",
            "name_english": "English", "country_english": "United States",
        },
        "dataset": name,
    }  # fmt: skip


def make(
    path: Path | str, *, speakers: int = 1, seed: int = 0, resblock: str = "2", sample_rate: int = 22050
) -> Path:
    """Write `path` (NAME.onnx) and NAME.onnx.json, and return it; same arguments, same voice."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        voice = Voice(speakers, resblock).eval()
        ids = torch.randint(1, len(SYMBOLS), (1, 50))
        example: tuple[Tensor, ...] = (ids, torch.tensor([50]), torch.tensor([0.667, 1.0, 0.8]))
        if speakers > 1:
            example += (torch.tensor([0]),)
        initialise(voice, example)
        export(voice, example, path)
    fold(path)
    document = json.dumps(config(path.stem, speakers, sample_rate), ensure_ascii=False, indent=2)
    path.with_name(path.name + ".json").write_text(document + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Write a tiny Piper-like voice: NAME.onnx and NAME.onnx.json."
    )
    parser.add_argument("path", type=Path, help="where NAME.onnx goes")
    parser.add_argument("--speakers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resblock", choices=sorted(BRANCHES), default="2")
    parser.add_argument("--sample-rate", type=int, default=22050)
    print(make(**vars(parser.parse_args())))
