"""The paper held to a run: its tables and figures beside the run's, and a verdict on each thing that it says."""
