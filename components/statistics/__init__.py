"""The mathematics of decisions: paired tests, confidence sequences, precision bounds, power and multiplicity.

Pure numpy and scipy; every module can be imported alone and holds one idea. A *difference* is always
candidate minus production, *greater* always means that the candidate is better, and the unit of
independence is the cluster (a user or a conversation), never the turn.
"""
