"""One module for each stack: ``Inputs``, ``Outputs``, ``build()`` and private builders."""
