"""What kinds of objectives there are, what each can say that others cannot, and where a spec stands among them.

Source: R. Subramani, M. Williams, M. Heitmann, H. Holm, C. Griffin, J. Skalse, "On the Expressivity of
Objective-Specification Formalisms in Reinforcement Learning", ICLR 2024 (arXiv 2310.11840): the seventeen formalisms
and their order. The wording of the definitions, the arguments of the inclusions and the witnesses are ours; those of
the paper were not at hand.
"""
