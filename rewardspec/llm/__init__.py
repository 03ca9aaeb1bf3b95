"""Language models that help to write rewards: providers, prompts, records, judges. Nothing they write is ever run."""
