"""The lab's wire: WSMan and PSRP over HTTP on loopback.

site      listeners, endpoints and faults together: what a Lab starts and stops
http      one HTTP connection: authentication, encryption, bodies
listener  the accepting thread and its connections
auth      Basic and Negotiate (NTLM); encryption seals the messages
endpoint  one EndpointService: WSMan actions, quota, replayed answers
shells    shells, pipelines and the messages waiting for Receive
psrp      runspace pools over psrpcore, and the messages the lab writes itself
clixml    values in and text out
envelope  SOAP in, SOAP out, faults
control   the control address; faults and trace are what it steers and sees
"""
