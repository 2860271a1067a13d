"""What everything stands on: errors, whole files, streams, checkpoints, devices."""
