"""The documentation against the program: each console block runs, each name exists, each link leads somewhere."""
