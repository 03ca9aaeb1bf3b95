"""Search for a reward: propose whole specs, train an agent on each, ask a judge which served best, propose again.

- `candidate.py`, `folder.py`: what is known of a candidate, and the journal that keeps all of them on the disk.
- `admission.py`: from what was proposed to a spec that is known to run, or to the reason why it does not.
- `mutation.py`, `asking.py`: who proposes: a documented mutation operator, or a language model.
- `differences.py`: what tells two specs apart, exactly; `feedback.py`: what a proposer is told.
- `pool.py`, `trainer.py`, `playing.py`: training side by side, and the episodes that judges look at.
- `judges.py`, `person.py`: who says which candidate is best and which is worst.
- `loop.py`, `page.py`: the search, and the page that it writes.

Source: Yu et al., "ICPL: Few-shot In-context Preference Learning via LLMs" (arXiv 2410.17233), which replaces the
fitness of Eureka (Ma et al., arXiv 2310.12931) by a preference. What is proposed here is a spec, never code.
"""
