"""The core: values, leafwise execution, trees, precision and checks. It knows no algorithm."""
