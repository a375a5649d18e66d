"""The demonstration: a real site is deployed and rolled back over and over while visitors ask for its page and readers
go through all its public paths; what they saw becomes a picture.

example     the site that is deployed: where it is kept, how a version of it is stamped, its treeswap.toml
grounds     the directories in which it lives, of which nothing is left
front       nginx before it
changing    commands that change it, for whoever does not show them
reader      a process that reads, and tells what it saw
visitor     a process that asks for pages and static files, and tells what it was answered
tracks      what one reader or visitor saw
verdict     what all of them saw, held against what was done when
story       the commands, with readers and visitors, from beginning to end
terminal    the picture, as text
svg         the picture, as a file
"""
