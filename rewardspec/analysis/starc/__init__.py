"""How far two rewards are apart, by what they ask for: STARC distances.

Source: J. Skalse, L. Farnik, S. R. Motwani, E. Jenner, A. Gleave, A. Abate, "STARC: A General Framework For Quantifying
Differences Between Reward Functions", ICLR 2024 (arXiv 2309.15257).
"""
