"""Stands for the agents' name server: `leads(name, port)` lets a name lead to this port of loopback."""
import socket


def leads(name, port):
    resolve = socket.getaddrinfo

    def instead(host, asked, *more, **named):
        return resolve("127.0.0.1", port, *more, **named) if host == name else resolve(host, asked, *more, **named)

    socket.getaddrinfo = instead
