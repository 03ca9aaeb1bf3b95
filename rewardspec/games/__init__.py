"""Games in normal form: payoffs, measures of risk, and the strategies that solve them.

`game` holds a game as arrays, `text` reads one from YAML, `risk` says what an agent dislikes about its opponents,
`response` finds the best reply to them, `solve` the strategies that are best replies to each other (risk-averse and
logit equilibria), `nash` the risk-neutral ones beside them, `frontier` the trade of mean against variance.
"""
