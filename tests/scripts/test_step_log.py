from flywheel.scripts.command.step_log import StepEvent, error_message, events

LOG = """03:03:25.678 - INFO - Running pipeline: \x1b[95m'fly'\x1b[0m
03:03:25.682 - INFO - Executing task \x1b[96m'train-model'\x1b[0m
03:03:25.683 - INFO - Streamed logs:

    [KFP Executor 2026-11-21 03:03:25,753 INFO]: Got executor_input:
    {
        "inputs": {}
    }
    step 3/10 loss 1.2
03:03:26.000 - INFO - Task \x1b[96m'train-model'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
03:03:26.100 - INFO - Executing task \x1b[96m'check-inputs'\x1b[0m
    Traceback (most recent call last):
      File "a.py", line 12, in bad
        int('x')
    ValueError: invalid literal for int() with base 10: 'x'

    The above exception was the direct cause of the following exception:

    Traceback (most recent call last):
      File "b.py", line 14, in bad
        raise ValueError
    ValueError: logs: no such file: /x
      what to do: give a file

03:03:27.270 - ERROR - Task \x1b[96m'check-inputs'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m
""".splitlines(keepends=True)


def test_events_of_a_run():
    assert list(events(LOG)) == [
        StepEvent("started", "train-model"),
        StepEvent("said", "train-model", "step 3/10 loss 1.2"),
        StepEvent("finished", "train-model"),
        StepEvent("started", "check-inputs"),
        StepEvent("failed", "check-inputs", "logs: no such file: /x\n  what to do: give a file"),
    ]


def test_message_of_an_exception_class_of_a_room():
    lines = ['    File "x.py", line 1', "    flywheel.components.store.errors.StoreError: cannot open", "    more"]
    assert error_message(lines) == "cannot open\nmore"


def test_no_exception_no_message():
    assert error_message(["    File", "    x"]) == ""
