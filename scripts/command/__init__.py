"""The `flywheel` command; one file a group of subcommands."""
