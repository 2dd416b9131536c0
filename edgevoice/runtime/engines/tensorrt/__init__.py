"""TensorRT: stages built on the device from typed ONNX files, and run there.

``library`` finds TensorRT and holds its one logger, ``shapes`` knows the lengths to build for, ``build``
makes a plan from an ONNX file, and ``cache`` keeps it under the signature of file and machine. ``prepare``
builds all of a bundle's in a process of its own, has ``timing`` compare them with ONNX Runtime and
``context`` read what a bare process takes, and writes what it chose as a ``record``. ``engine`` runs plans
in the ``memory`` that they share; ``here`` brings all of it together for whoever loads a bundle. Nothing
here is imported where no TensorRT is asked for, and TensorRT itself only by ``library.load``.
"""
