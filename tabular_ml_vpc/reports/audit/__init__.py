"""Independent checkers over what is emitted, their exemptions, and the pages made from both.

``whole`` gives the nested stacks as one template, ``checkers`` run over it and over the templates
themselves, ``exemptions`` says what is accepted and why, ``gate`` brings the two together.
"""
