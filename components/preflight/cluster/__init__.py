"""What a run needs of the cluster, asked before hours are spent."""
