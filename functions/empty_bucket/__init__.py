"""Empty a bucket when its stack goes, if the stack marked it so."""
