"""TensorRT: stages built on the device from typed ONNX files, and run there.

``library`` finds TensorRT and holds its one logger, ``build`` makes a plan from an ONNX file. Nothing here is
imported where no TensorRT is asked for, and TensorRT itself only by ``library.load``.
"""
