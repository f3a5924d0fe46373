"""Which lines of a log say only that AWS's toolkits are at work."""

from __future__ import annotations

import pytest

from tabular_ml_vpc.operations.log_noise import noise

TRAINING = """\
2026-11-27 08:50:39,544 sagemaker-training-toolkit INFO     No GPUs detected
Returning the value itself
2026-11-27 08:50:39,580 sagemaker_pytorch_container.training INFO     Invoking user script.
Training Env:
{
    "additional_framework_parameters": {},
    "hosts": [
        "algo-1"
    ],
}
Environment variables:
SM_HOSTS=["algo-1"]
SM_HP_TIME-LIMIT=20
PYTHONPATH=/opt/ml/code
Invoking script with the following command:
/opt/conda/bin/python3.12 -m train --preset medium_quality
/usr/local/bin/python -- train.py --families GBM
"""
SERVING = """\
2026-11-27T08:51:41,971 [INFO ] main org.pytorch.serve.servingsdk.PluginsManager - Initializing
Torchserve version: 0.12.0
TS Home: /opt/conda/lib
Number of CPUs: 2
2026-11-27T08:51:44,660 [INFO ] pool-2-thread-3 ACCESS_LOG - /127.0.0.1:4 "GET /ping HTTP/1.1" 200
2026-11-27T08:51:47,837 [INFO ] pool-3-thread-1 TS_METRICS - CPUUtilization.Percent:100.0|#Level
2026-11-27T08:51:45,984 [INFO ] W-9001-model_1.0-stdout MODEL_LOG - Listening on port: /tmp/.ts.sock
Model server started.
"""
OURS = """\
Fitting model: LightGBM ... Training model for up to 19.95s of the 19.95s of remaining time.
{
   'GBM': [{}],
2026-11-27 08:50:39,580 sagemaker-training-toolkit ERROR    Reporting training FAILURE
2026-11-27 08:50:39,580 sagemaker_pytorch_container.training WARNING  PyTorch cannot be found
2026-11-27T08:51:44,660 [INFO ] W-9000 ACCESS_LOG - /127.0.0.1:4 "POST /invocations HTTP/1.1" 200 2
2026-11-27T08:51:45,984 [WARN ] W-9001-model_1.0-stderr MODEL_LOG - Traceback (most recent:
2026-11-27T08:51:45,984 [INFO ] W-9001-model_1.0 org.pytorch.serve.wlm.WorkerThread - Worker died.
2026-11-27T08:51:45,984 [ERROR] main org.pytorch.serve.ModelServer - Could not start
ValueError: label column: 'churned' is not in the table
"""


@pytest.mark.parametrize("lines", [TRAINING, SERVING])
def test_what_the_toolkits_say_about_themselves_is_noise(lines: str) -> None:
    is_noise = noise()
    assert [line for line in lines.splitlines() if not is_noise(line)] == []


@pytest.mark.parametrize("before", ["", *TRAINING.splitlines(), *SERVING.splitlines()])
def test_what_the_scripts_write_and_every_error_is_not(before: str) -> None:
    for line in OURS.splitlines()[:: -1 if before else 1]:
        is_noise = noise()
        is_noise(before)
        assert not is_noise(line) or before == "Training Env:", line
