"""Whether requests and answers are what Microsoft's published description allows. Knows nothing of the stand-in."""
