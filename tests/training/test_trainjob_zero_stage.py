"""The memory arithmetic of ZeRO against the published figures, and the stage that follows from it."""

import json
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flywheel.components.training import zero_stage
from flywheel.components.training.model_size import ModelSize, model_size

# Rajbhandari et al. 2020, table 1: GB per device by data-parallel degree, for 7.5 B, 128 B and 1 T parameters.
TABLE_1 = {
    (7.5e9, 1): (120, 120, 120),
    (7.5e9, 4): (52.5, 41.3, 30),
    (7.5e9, 16): (35.6, 21.6, 7.5),
    (7.5e9, 64): (31.4, 16.6, 1.88),
    (7.5e9, 256): (30.4, 15.4, 0.47),
    (7.5e9, 1024): (30.1, 15.1, 0.12),
    (128e9, 1): (2048, 2048, 2048),
    (128e9, 4): (896, 704, 512),
    (128e9, 16): (608, 368, 128),
    (128e9, 64): (536, 284, 32),
    (128e9, 256): (518, 263, 8),
    (128e9, 1024): (513, 257, 2),
    (1e12, 1): (16000, 16000, 16000),
    (1e12, 4): (7000, 5500, 4000),
    (1e12, 16): (4750, 2875, 1000),
    (1e12, 64): (4187, 2218, 250),
    (1e12, 256): (4046, 2054, 62.5),
    (1e12, 1024): (4011, 2013, 15.6),
}
LLAMA_8B = ModelSize(parameters=8_030_261_248, layers=32, hidden=4096, heads=32, vocabulary=128_256)
GIB = 2.0**30


def states(parameters, processes, stage):
    return zero_stage.state_bytes(parameters, processes, stage, zero_stage.DEEPSPEED)


def test_the_estimate_covers_what_was_measured_on_a_gpu():
    """One H200, stage 0, 32 rows of at most 234 tokens: torch.cuda.max_memory_allocated was 3.145 GB."""
    choice = zero_stage.choose(ModelSize(153_035_776, 12, 1024, 16, 768), 1, 141 * GIB, rows=32, length=234)
    assert choice.stage == 0 and "at 20 bytes" in choice.reason
    assert 3.145e9 <= choice.bytes_per_device < 1.2 * 3.145e9
    assert zero_stage.state_bytes(153_035_776, 1, 0) < 0.8 * 3.145e9  # what the paper counts is not enough


@pytest.mark.parametrize(("parameters", "processes"), TABLE_1, ids=str)
def test_model_states_are_those_of_the_paper(parameters, processes):
    for stage, published in zip((1, 2, 3), TABLE_1[parameters, processes], strict=True):
        computed = zero_stage.state_bytes(parameters, processes, stage) / 1e9
        # the paper rounds to three digits, and cuts some off
        assert computed == pytest.approx(published, rel=0.011, abs=0.006), (stage, published)


def test_a_7_5_billion_model_needs_120_gb_without_zero():
    assert zero_stage.state_bytes(7.5e9, 64, 0) == pytest.approx(120e9)


def test_activations_of_gpt3_follow_korthikanti():
    """Their table 2 and section 4: 22 B model (48 layers, h 6144, a 64, s 2048, b 4): sbh(34 + 5as/h) a layer."""
    size = ModelSize(22_000_000_000, 48, 6144, 64, 51_200)
    sbh = 2048 * 4 * 6144
    per_layer = sbh * (34 + 5 * 64 * 2048 / 6144)
    kept = zero_stage.activation_bytes(size, 4, 2048, "cpu") - 12 * 4 * 2048 * 51_200
    assert kept == pytest.approx(2 * 48 * per_layer)  # twice: our CPU values have 4 bytes, theirs 2
    recomputed = zero_stage.activation_bytes(size, 4, 2048, "cuda") - 10 * 4 * 2048 * 51_200
    assert recomputed == pytest.approx(48 * 2 * sbh + 34 * sbh)


@pytest.mark.parametrize(
    ("processes", "gib", "stage"),
    [(1, 192, 0), (2, 141, 1), (4, 80, 1), (4, 64, 2), (8, 48, 2), (8, 24, None), (16, 24, 3)],
)
def test_llama_8b_gets_the_lowest_stage_that_fits(processes, gib, stage):
    if stage is None:
        with pytest.raises(ValueError, match="does not fit at any ZeRO stage"):
            zero_stage.choose(LLAMA_8B, processes, gib * GIB, rows=1, length=8192)
        return
    choice = zero_stage.choose(LLAMA_8B, processes, gib * GIB, rows=1, length=2048)
    assert choice.stage == stage, choice.reason
    assert f"ZeRO stage {stage} is the lowest that fits" in choice.reason
    assert "8.03 billion parameters" in choice.reason and "activations" in choice.reason


@example(1.0, 1, 9.0, 1, 128)  # on so many devices a lower stage fits, too
@given(
    billions=st.floats(0.01, 500),
    processes=st.integers(1, 1024),
    gib=st.floats(8, 200),
    rows=st.integers(1, 8),
    length=st.integers(128, 8192),
)
def test_a_choice_fits_the_stage_below_does_not_and_a_refusal_names_enough(billions, processes, gib, rows, length):
    size = ModelSize(int(billions * 1e9), 32, 4096, 32, 32_000)
    room = gib * GIB * (1 - zero_stage.HEADROOM)
    activations = zero_stage.activation_bytes(size, rows, length, "cuda")
    try:
        choice = zero_stage.choose(size, processes, gib * GIB, rows, length)
    except ValueError as error:
        assert states(size.parameters, processes, 3) + activations > room
        if "use at least" in str(error):
            needed = int(str(error).split("use at least ")[1].split()[0])
            assert needed > processes
            assert zero_stage.choose(size, needed, gib * GIB, rows, length).bytes_per_device <= room
            assert states(size.parameters, needed - 1, 3) + activations > room
        else:
            assert "activations alone" in str(error) and activations >= room
        return
    assert choice.bytes_per_device <= room
    if choice.stage:
        assert states(size.parameters, processes, choice.stage - 1) + activations > room


def test_stages_never_need_more_and_one_process_gains_nothing():
    needs = [zero_stage.state_bytes(1e9, 8, stage) for stage in zero_stage.STAGES]
    assert needs == sorted(needs, reverse=True) and len(set(needs)) == 4
    assert len({zero_stage.state_bytes(1e9, 1, stage) for stage in zero_stage.STAGES}) == 1
    full = [zero_stage.state_bytes(1e9, 1, stage, zero_stage.FULL) for stage in zero_stage.STAGES]
    assert full == [16e9] * 4


def write_safetensors(path, tensors):
    header = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for name, shape in tensors.items()}
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def test_size_is_read_from_the_files(tmp_path):
    write_safetensors(tmp_path / "model-1.safetensors", {"a": [10, 20], "b": [5]})
    write_safetensors(tmp_path / "model-2.safetensors", {"c": [7]})
    config = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 320}
    (tmp_path / "config.json").write_text(json.dumps({"text_config": config}))
    assert model_size(tmp_path) == ModelSize(212, 2, 32, 4, 320)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="has no num_hidden_layers.*give zero_stage"):
        model_size(tmp_path)
    (tmp_path / "model-2.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0hello")
    with pytest.raises(ValueError, match="model-2.safetensors is not a safetensors file"):
        model_size(tmp_path)


def test_size_of_a_real_model_is_its_number_of_parameters(base):
    from transformers import AutoModelForCausalLM

    assert model_size(base).parameters == sum(
        p.numel() for p in AutoModelForCausalLM.from_pretrained(base).parameters()
    )
