"""
The Grafana dashboard, made by code: `python -m devtools.dashboard` writes deploy/grafana/event-bridge.json.

`promql` writes queries, `panels` draws, the modules named after rows say what there is to see, `whole` puts it
together. `rules` finds what is wrong with a dashboard; `picture` draws one from the answers of a Prometheus, and
`trial` gives it something to show: a real bridge, brokers and a target, with faults.
"""
