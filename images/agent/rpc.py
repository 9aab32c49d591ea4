"""GET one URL on loopback and print the body; exit with 0 on HTTP 200, else print the reason and
exit with 1.
"""

import sys
import urllib.error
import urllib.request

LIMIT = 1024 * 1024


def main():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(sys.argv[1], timeout=5) as answer:
            sys.stdout.buffer.write(answer.read(LIMIT))
    except (OSError, urllib.error.URLError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
