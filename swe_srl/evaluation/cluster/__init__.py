"""An evaluation's episodes and gradings on the nodes of a Ray cluster. The run folder stays with who started the run."""
