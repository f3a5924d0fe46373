"""An emulated AWS on this machine, for tests and for trying out the templates.

`process.py`, `awscli.py` and `inventory.py` run in the main environment (standard library and
boto3). `launcher.py` and the modules that it loads run in their own environment
(`requirements/emulator.txt`): they start ministack and add what it lacks. They use private names of
ministack, so its version is pinned exactly.
"""
