"""What developers run: brokers of their own, the demo, the set-up behind `./dev`. Not part of the product."""
