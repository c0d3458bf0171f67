"""See ARCHITECTURE.md."""

from malha.platform.compiled import use

# What is looked into for every parcel of every order: plain functions over lists, compiled where a compiler is there.
COMPILED = ("charging", "lanes", "parting", "rows", "rules", "siting", "subsets")
LIBRARY = "malha_routing__mypyc"
IS_COMPILED = use(__path__, LIBRARY)
