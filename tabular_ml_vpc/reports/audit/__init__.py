"""Independent checkers over the templates, their exemptions, and the pages made from both.

``whole`` merges the nested stacks into one template; ``checkers`` run over it and over the
templates themselves; ``exemptions`` reads what is accepted and why; ``gate`` compares the two.
"""
