"""An emulated AWS on this machine, for tests and for trying the templates out.

`process.py`, `awscli.py` and `inventory.py` belong to the main environment (standard library and
boto3). `launcher.py` and the modules it loads run in an environment of their own
(`requirements/emulator.txt`): they start ministack and give it what it lacks. They reach into
private names of ministack, so its version is pinned exactly.
"""
