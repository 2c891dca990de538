"""Preferences in the shapes of TRL's trainers, against golden files and against the trainers themselves."""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.components.curation.preferences.rated_answers import SCHEMA as RATED
from flywheel.components.dataset import trl_shapes
from flywheel.components.dataset.preference_formats import shapes
from flywheel.components.dataset.preference_formats.export import export

GOLDEN = Path(__file__).parent / "golden"
FORMATS = ("dpo", "kto", "reward")


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def pair(
    number: int, question: str, chosen: str, rejected: str, evidence: str = "votes", **more: Any
) -> dict[str, Any]:
    return {
        "prompt": [user(question)],
        "chosen": trl_shapes.answer(chosen),
        "rejected": trl_shapes.answer(rejected),
        "candidate_id": "",
        "group_id": f"g{number}",
        "pair_id": f"p{number}",
        "evidence": evidence,
        "evidence_ids": [f"f{number}", f"f{number}b"],
        "support": 2,
        "weight": 0.75,
    } | more


def rated(number: int, question: str, answer: str, label: bool) -> dict[str, Any]:
    return {
        "answer_id": f"a{number}",
        "prompt": [user(question)],
        "completion": answer,
        "label": label,
        "evidence_ids": [f"r{number}"],
        "support": 1,
        "group_id": f"h{number}",
        "weight": 0.6667,
    }


def item(question: str, cluster: str = "") -> dict[str, Any]:
    return {
        "item_id": question,
        "suite": "changed",
        "messages": [user(question)],
        "references": ["x"],
        "cluster": cluster,
    }


PAIRS = [
    pair(1, "What does the Borel 7 cost?", "It costs 7 euros.", "It costs 5 euros.", "correction", candidate_id="c1"),
    pair(2, "Where is my order?", "On its way.", "Wait.",
         prompt=[user("Hi"), *trl_shapes.answer("Hello!"), user("Where is my order?")]),
    pair(3, "How do I cancel?", "Press cancel.", "Dear customer, on the order page you may press cancel.", "concise"),
]  # fmt: skip
ANSWERS = [
    rated(1, "Who are you?", "An assistant.", True),
    rated(2, "Do you ship to Malta?", "I don't know.", False),
    rated(3, "How do I cancel?", "Press cancel.", True),  # in a pair already
]


class Files:
    """Writes the inputs of the export and runs it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def export(self, pairs=PAIRS, answers=ANSWERS, items=()):
        trl_shapes.save(pairs, trl_shapes.PREFERENCE_COLUMNS, str(self.folder / "preferences"))
        pq.write_table(pa.Table.from_pylist(list(answers), RATED), self.folder / "rated")
        (self.folder / "evaluation").write_text("".join(json.dumps(one) + "\n" for one in items))
        given = (str(self.folder / name) for name in ("preferences", "rated", "evaluation"))
        return export(*given, *(str(self.folder / name) for name in FORMATS))

    def load(self, name: str) -> datasets.Dataset:
        cache = str(self.folder / "cache")
        return datasets.load_dataset(str(self.folder / name), split="train", cache_dir=cache)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_the_formats_are_those_of_the_golden_files(files, name):
    files.export()
    lines = [json.dumps(row, ensure_ascii=False) for row in files.load(name)]
    assert lines == (GOLDEN / f"preferences_{name}.jsonl").read_text(encoding="utf-8").splitlines()


def test_every_row_says_where_it_is_from(files):
    done = files.export()
    for name in FORMATS:
        rows = files.load(name)
        assert all(row["source_id"] and row["evidence"] and row["evidence_ids"] and row["group_id"] for row in rows)
    assert done.written == {"dpo": 3, "reward": 3, "kto": 8}
    assert (done.rows.rows_in, done.rows.accepted, done.rows.duplicates) == (6, 5, 1)
    assert files.load("dpo")[0]["candidate_id"] == "c1"


def test_the_same_input_gives_the_same_bytes(files):
    files.export()
    first = [(files.folder / name / "train.parquet").read_bytes() for name in FORMATS]
    files.export()
    assert [(files.folder / name / "train.parquet").read_bytes() for name in FORMATS] == first


def test_no_rows_are_still_files_with_columns(files):
    done = files.export([], [])
    assert done.written == {"dpo": 0, "reward": 0, "kto": 0}
    for name, schema in (("dpo", shapes.DPO), ("kto", shapes.KTO), ("reward", shapes.REWARD)):
        table = pq.read_table(files.folder / name / "train.parquet")
        assert table.num_rows == 0
        assert table.schema.names == schema.names
    with pytest.raises(ValueError, match="no data"):  # datasets has no empty data set of files: count first
        files.load("dpo")
    assert done.details["kto_balance"] == {
        "desirable": 0, "undesirable": 0, "balanced": False, "desirable_weight": 1.0, "undesirable_weight": 1.0,
    }  # fmt: skip


def test_nothing_near_to_what_evaluates_is_trained_on(files):
    items = [item("what does teh Borel 7 cost??"), item("Do you ship to Malta, please?"), item("Else?", cluster="g2")]
    done = files.export(items=items)
    assert done.rows.quarantined == {"evaluation_prompt": 2, "held_out": 1}
    assert [row["source_id"] for row in files.load("dpo")] == ["p3"]
    assert {row["prompt"][-1]["content"] for row in files.load("kto")} == {"How do I cancel?", "Who are you?"}
    other = files.export(items=[item("What does the Borel 8 cost?")])
    assert other.rows.quarantined == {}


def test_an_answer_that_is_better_here_and_worse_there_has_no_label(files):
    chain = [pair(1, "Why?", "Best.", "Middle."), pair(2, "Why?", "Middle.", "Worst.")]
    done = files.export(chain, [rated(1, "Why?", "Best.", False)])
    assert {(row["completion"][0]["content"], row["label"]) for row in files.load("kto")} == {("Worst.", False)}
    assert done.details["kto_answers_with_both_labels"] == 2
    assert len(files.load("dpo")) == 2


@pytest.mark.parametrize(("good", "bad"), [(10, 10), (4, 3), (10, 100), (100, 10), (5, 4)])
def test_the_weights_bring_desirable_and_undesirable_into_balance(good, bad):
    found = shapes.balance([{"label": True}] * good + [{"label": False}] * bad)
    ratio = found["desirable_weight"] * good / (found["undesirable_weight"] * bad)
    assert 0.999 <= ratio <= 4 / 3 * 1.001
    assert found["balanced"] == (1 <= good / bad <= 4 / 3)


def test_inputs_of_other_steps_are_refused(files):
    files.export()
    with pytest.raises(FileNotFoundError, match="run assemble_dataset first"):
        export(str(files.folder / "none"), "", str(files.folder / "evaluation"), "", "", "")
    with pytest.raises(FileNotFoundError, match="run mine_preferences first"):
        export(str(files.folder / "preferences"), "none", str(files.folder / "evaluation"), "", "", "")
    old = datasets.load_from_disk(str(files.folder / "preferences")).remove_columns(["evidence"])
    old.save_to_disk(str(files.folder / "old"))
    with pytest.raises(ValueError, match="lack \\['evidence'\\]"):
        export(str(files.folder / "old"), str(files.folder / "rated"), str(files.folder / "evaluation"), "", "", "")
    (files.folder / "evaluation").write_text("{}\n")
    with pytest.raises(ValueError, match="line 1"):
        export(str(files.folder / "preferences"), "", str(files.folder / "evaluation"), "", "", "")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama of some thousand parameters with a word tokenizer of its own."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from flywheel.components.training.chat_template import ensure_chat_template

    letters = sorted({chr(code) for code in range(32, 127)} | {"\n"})
    vocabulary = {name: number for number, name in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", *letters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    folder = tmp_path_factory.mktemp("tiny")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    ensure_chat_template(fast)
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_installed_trl_trains_on_the_files(files, tiny, name):
    import transformers
    import trl

    files.export([*PAIRS, pair(4, "Why?", "So that it works.", "No.")])
    kind = {"dpo": "DPO", "kto": "KTO", "reward": "Reward"}[name]
    folder = str(files.folder / "model")
    settings = {"output_dir": folder, "max_steps": 1, "per_device_train_batch_size": 4, "use_cpu": True, "seed": 1}
    settings |= {"report_to": "none", "save_strategy": "no", "logging_steps": 1, "learning_rate": 1e-2, "bf16": False}
    settings |= {"gradient_checkpointing": False, "disable_tqdm": True}
    loader = transformers.AutoModelForCausalLM
    if name == "reward":
        loader = transformers.AutoModelForSequenceClassification
        model = loader.from_pretrained(tiny, num_labels=1)
    else:
        model = loader.from_pretrained(tiny)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trainer = getattr(trl, f"{kind}Trainer")(
        model=model,
        args=getattr(trl, f"{kind}Config")(**settings),
        train_dataset=files.load(name),
        processing_class=transformers.AutoTokenizer.from_pretrained(tiny),
    )
    result = trainer.train()
    assert trainer.state.global_step == 1
    assert 0 < result.training_loss < 10
    assert any((value != before[key]).any() for key, value in trainer.model.state_dict().items())
