"""Methods that approximate a posterior, each with the certificate it can give."""
