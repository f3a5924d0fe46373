"""What every test may rely on, however the tests were started."""

from __future__ import annotations

import signal

# `nohup` and shells' background jobs ignore SIGINT, and processes inherit that: a test could not
# interrupt what it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
