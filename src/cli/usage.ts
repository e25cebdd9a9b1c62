/** The text of `--help`. */
export const USAGE = `interconnect: tools for the Interconnect wire protocol

  interconnect conformance HOST:PORT [options]
      tests a listener that offers the fixture of PROTOCOL.md, appendix C
  interconnect conformance --path SOCKET [options]
      the same on a Unix socket
  interconnect conformance --listen [HOST:]PORT [options] -- COMMAND...
      tests a dialer: starts COMMAND for every case, with INTERCONNECT_HOST and
      INTERCONNECT_PORT in its environment; with port 0, each case has a free port
  interconnect fixture [--host HOST] [--port PORT] [--path SOCKET]
      the fixture as a listener, until it is interrupted
  interconnect fixture --connect HOST:PORT
      the fixture as a dialer; "env" stands for INTERCONNECT_HOST and INTERCONNECT_PORT
  interconnect fixture ... --delay MS
      the fixture delays each decision by MS milliseconds, as an application may

Options of conformance:
  --group GROUP     only this group; may be repeated
  --case CASE       only this case: malformed/M24, M24; may be repeated
  --list            show the cases, and run none
  --json            results as JSON on the standard output
  --junit FILE      results as JUnit XML too
  --timeout MS      how long a reaction may take (6000)
  --patience MS     how long a case waits before it judges that nothing came (400).
                    An application may take half of it for a decision: 200 ms
  --jobs N          cases at the same time (16; for a dialer 8, or 1 if the port
                    is given)
  --tls             TLS; the certificate is not verified

  --help, --version

Exit codes: 0 all passed or were skipped, 1 a case failed, 2 the run was not possible.
`;
