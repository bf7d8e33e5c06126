"""Networks of other libraries, in and out; each of these is imported only to make one of its own."""
