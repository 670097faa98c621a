"""
The sans-IO codec of the intake: AMQP 0-9-1 as a consumer speaks it, without sockets, clocks and tasks.

`connection.Connection` turns bytes into the values of `events`, and commands into bytes. `properties` reads what a
delivery carries beside its body.
"""
