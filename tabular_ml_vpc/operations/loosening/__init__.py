"""What a deployment would loosen: rights, network reach, encryption, retention and settings.

``comparison.compare`` takes the resolved templates of the stack and of the deployment. ``rights``
reads policies, ``conditions`` and ``patterns`` decide whether one part of a policy is at least as
strict as another, ``access`` finds the policies and what they apply to; ``network`` compares
reach, and ``protection`` single properties. What is not provably as strict is reported.
"""
