"""The bundle: the directory that holds everything the two ends need."""
