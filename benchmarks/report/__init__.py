"""What a run came to, for readers: one HTML page that loads nothing, a table in Markdown, all scores as CSV.

- `curves.py`: learning curves of many runs as mean and band on one grid, and how soon they reach a level.
- `sections.py`: one experiment's part of the page; `page.py`: the page; `suite.js` and `suite.css` belong to it.
- `charts.py`: intervals side by side, as SVG.
- `tables.py`: the table for the README, and the CSV.
"""
