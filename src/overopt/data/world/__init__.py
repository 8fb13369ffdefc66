"""The embedded world: prompts, writers, a hidden utility and the annotators who see it.

A small procedural language in which the whole experiment of Gao et al. 2022 runs offline from
scratch. Imports go one way, so that an edit reruns only what depends on it:

    vocabulary <- prompts <- writers <- candidates
                  prompts <- dials <- utility <- annotators

Nobody who writes (writers, candidates) may look at what is liked (utility, annotators).
"""
