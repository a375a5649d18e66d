"""The demonstration: a real site is deployed and rolled back over and over while readers go through all its public
paths as fast as they can; what they saw becomes a picture.

example     the site that is deployed: where it is kept, how a version of it is stamped
reader      a process that reads, and tells what it saw
tracks      what one reader saw
verdict     what all of them saw, held against what was done when
story       the work directory, the readers and the commands, from beginning to end
terminal    the picture, as text
svg         the picture, as a file
"""
