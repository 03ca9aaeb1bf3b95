"""The codes of reading: what is wrong with the text of a spec, its keys and its values."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

TEXT: dict[str, Explanation] = {
    "unreadable-file": Explanation(
        "The file cannot be opened: it does not exist, is a folder, or may not be read.",
        "$ rewardspec check cartpole.yml",
        "$ rewardspec check cartpole.yaml",
    ),
    "not-utf8": Explanation(
        "A spec is UTF-8 text; the file holds a byte that is none, as files saved in an older encoding do.",
        'name: "caf\\xe9"  (the byte e9 of Latin-1)',
        "Save the file as UTF-8; every editor can.",
    ),
    "control-character": Explanation(
        "The text holds a character that cannot be seen, such as a NUL, a bell or a direction mark. It "
        "usually came with a copy and would make two texts that look alike differ.",
        "name: door\a\nreward: 1\n",
        "Delete it. In a text that must have it, write it as an escape in double quotes.",
    ),
    "yaml-syntax": Explanation(
        "The text is not YAML. The line that is shown is where the parser gave up; the mistake is there or "
        "just above.",
        "name: door: open\nreward: 1\n",
        "name: 'door: open'\nreward: 1\n",
    ),
    "yaml-tag": Explanation(
        "A word that begins with '!' is a tag to YAML, and a spec has none. Mostly a guard with a leading "
        "'!' lacks its quotes.",
        "propositions: [lava]\nreward:\n  ltl: !lava\n",
        "propositions: [lava]\nreward:\n  ltl: not lava\n  pay: end\n",
    ),
    "yaml-directive": Explanation(
        "YAML directives (lines that begin with '%') change how a text is read. A spec is read in one way "
        "only.",
        "%YAML 1.1\n---\nreward: 1\n",
        "reward: 1\n",
    ),
    "several-documents": Explanation(
        "A file holds one spec; '---' begins a second YAML document.",
        "reward: 1\n---\nreward: 2\n",
        "Put each spec into a file of its own.",
    ),
    "empty-document": Explanation(
        "The file holds nothing, or comments only.",
        "# reward: 1\n",
        "name: idle\nreward: 0\n",
    ),
    "not-a-mapping": Explanation(
        "A spec is a mapping of names to values; this is a list, a text or a number.",
        "- markov: 1\n",
        "reward:\n  - markov: 1\n",
    ),
    "duplicate-key": Explanation(
        "A key is given twice: in one mapping, or under a term's kind and beside it. YAML would silently "
        "keep the last one.",
        "reward: 1\nname: first\nname: second\n",
        "reward: 1\nname: first\n",
    ),
    "merge-key": Explanation(
        "Merge keys ('<<') are not part of the language: what a term says should stand where the term "
        "stands.",
        "reward:\n  - &a {markov: 1, weight: 2}\n  - {<<: *a, name: other}\n",
        "reward:\n  - {markov: 1, weight: 2}\n  - {markov: 1, weight: 2, name: other}\n",
    ),
    "non-string-key": Explanation(
        "A key is a text. Empty keys, lists and mappings as keys are legal YAML and mean nothing here.",
        "reward: 1\n[a, b]: 2\n",
        "reward: 1\nname: a b\n",
    ),
    "unknown-anchor": Explanation(
        "A word that begins with '*' is an alias to YAML, and no anchor ('&') of that name comes before it."
        " Mostly a text that begins with '*' lacks its quotes.",
        "reward: *step\n",
        "reward: reward\n",
    ),
    "recursive-alias": Explanation(
        "An alias stands inside the value that it repeats, so the spec would never end.",
        "reward: &r\n  sum: [*r]\n",
        "reward:\n  sum: [reward]\n",
    ),
    "ambiguous-scalar": Explanation(
        "YAML 1.1, YAML 1.2 and a person read this word differently: a number with a leading zero, in "
        "another base or with colons or underscores, or a date.",
        "reward: 010\n",
        "reward: 10\n",
    ),
    "non-finite-number": Explanation(
        "The number is infinite, not a number, or too large for a float.",
        "reward:\n  clip: reward\n  high: .inf\n",
        "# For no bound, leave the key out.\nreward:\n  clip: reward\n  low: 0\n",
    ),
    "cut-by-comma": Explanation(
        "Inside [...] and {...} YAML cuts a text at its commas, so a function's arguments end up in several"
        " pieces.",
        "propositions: {far: max(reward, 1) > 2}\nreward: 1\n",
        "propositions: {far: 'max(reward, 1) > 2'}\nreward: 1\n",
    ),
    "cut-at-bracket": Explanation(
        "Inside [...] and {...} YAML reads brackets as its own: an index ends the text that it belongs to. Elsewhere "
        "an expression with an index needs no quotes.",
        "signals: {s: next_obs[0]}\nreward: 1\n",
        "signals: {s: 'next_obs[0]'}\nreward: 1\n",
    ),
    "document-too-large": Explanation(
        "The text, a list or a mapping is longer than a spec may be. The limits keep reading within memory "
        "and time: 8 MiB of text, two million values, 4096 names, 1000 terms in a list, 20,000 edges.",
        "reward:\n  markov: 1\n  weight:\n    piecewise: ["
        + ", ".join(f"[{i}, 1]" for i in range(101))
        + "]\n",
        "Say it in fewer parts: an expression over vectors, a counter instead of many states, several specs.",
    ),
    "document-too-deep": Explanation(
        "Lists and mappings nest more than 64 levels deep, or terms more than 20.",
        "reward:\n  " + "{affine: " * 21 + "1" + "}" * 21 + "\n",
        "Name inner parts under `signals` and refer to the names; join maps of maps into one.",
    ),
}

VALUES: dict[str, Explanation] = {
    "unknown-key": Explanation(
        "A mapping has a key that the language does not know, so what it says would be lost.",
        "reward:\n  - markov: reward\n    wieght: 2\n",
        "reward:\n  - markov: reward\n    weight: 2\n",
    ),
    "missing-key": Explanation(
        "A mapping lacks a key that it must have, or the key has no value.",
        "reward:\n  ltl:\n",
        "propositions: {goal: terminated}\nreward:\n  ltl: F goal\n",
    ),
    "wrong-type": Explanation(
        "A value is of another sort than its key asks for: a text for a number, a list for a mapping. "
        "Nothing is converted silently: `'0.9'` in quotes is a text.",
        "discount: high\nreward: 1\n",
        "discount: 0.99\nreward: 1\n",
    ),
    "wrong-value": Explanation(
        "A value is of the right sort, but not one that its key allows; or keys contradict each other.",
        "discount: 1.5\nreward: 1\n",
        "discount: 0.99\nreward: 1\n",
    ),
    "wrong-version": Explanation(
        "`rewardspec:` at the top is the version of the language, not that of the spec. The language has "
        "version 1.",
        "rewardspec: 2\nreward: 1\n",
        "rewardspec: 1\nreward: 1\n",
    ),
    "invalid-name": Explanation(
        "Signals, propositions and counters have names that expressions can read: letters, digits and "
        "underscores, a letter first. Names of terms may hold spaces, '-' and '.' as well.",
        "signals: {2x: reward}\nreward: 1\n",
        "signals: {x2: reward}\nreward: 1\n",
    ),
    "reserved-name": Explanation(
        "The name is a word of the language, so that a text could not tell the two apart.",
        "signals: {action: reward}\nreward: 1\n",
        "signals: {effort: abs(action)}\nreward: 1\n",
    ),
    "duplicate-name": Explanation(
        "Two signals, propositions, counters or terms have one name.",
        "reward:\n  - {markov: reward, name: step}\n  - {markov: '-1', name: step}\n",
        "reward:\n  - {markov: reward, name: score}\n  - {markov: '-1', name: step}\n",
    ),
    "missing-term": Explanation(
        "A list of terms is empty.",
        "reward: []\n",
        "reward: [reward]\n",
    ),
    "unknown-kind": Explanation(
        "A term is a mapping with one key that names its kind, and none of its keys does.",
        "reward:\n  - makrov: reward\n",
        "reward:\n  - markov: reward\n",
    ),
    "several-kinds": Explanation(
        "A term is a mapping with one key that names its kind, and several of its keys do. Often the '- ' "
        "before the second one is missing.",
        "propositions: {goal: terminated}\nreward:\n  - markov: reward\n    ltl: F goal\n",
        "propositions: {goal: terminated}\nreward:\n  - markov: reward\n  - ltl: F goal\n",
    ),
    "two-names": Explanation(
        "In Python, a term that has a name is given another one.",
        ">>> markov('reward', name='score').named('points')",
        ">>> markov('reward', name='points')",
    ),
    "two-weights": Explanation(
        "In Python, a term whose weight is a schedule is multiplied by a number, or the other way round.",
        ">>> 2 * markov('reward', weight={'linear': {'from': 0, 'to': 1, 'over': 1000}})",
        ">>> markov('reward', weight={'linear': {'from': 0, 'to': 2, 'over': 1000}})",
    ),
}

READING: dict[str, Explanation] = {**TEXT, **VALUES}
