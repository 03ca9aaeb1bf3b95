"""Whether a reward can be hacked: what optimising a proxy does to the true reward, near a reference and far away.

Source: C. Laidlaw, S. Singhal, A. Dragan, "Correlated Proxies: A New Definition and Improved Mitigation for Reward
Hacking", ICLR 2025 (arXiv 2403.03185).
"""
