# SPDX-License-Identifier: BSD-3-Clause
"""Tomcat nodes on a lab's backends: servers that keep HTTP sessions, and hold copies of each other's as members of a
cluster. The members know each other by address (no multicast).

Every node has one servlet (Count.java), under a path for each way to copy sessions:

/all      every member has a copy of every session (DeltaManager)
/backup   a session is on two members, its primary and a backup (BackupManager)
"""
import os
import pathlib
import socket
import subprocess

from lab import wait_for

HOME = pathlib.Path("/usr/share/tomcat10")
JAVA = pathlib.Path("/usr/bin/java")
COMPILER = pathlib.Path("/usr/share/java/eclipse-jdt-core.jar")  # what Tomcat compiles JSP with: a JRE has no javac
MEMBER_PORT = 4000  # where members reach each other

# A node is small and up in a second: the machine has two cores. The JVM's archive of its own classes is in use anyway.
JVM = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"]

MANAGERS = {"all": "DeltaManager", "backup": "BackupManager"}

WEB = """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0" metadata-complete="true">
  <absolute-ordering/>
  <distributable/>
  <servlet><servlet-name>count</servlet-name><servlet-class>Count</servlet-class></servlet>
  <servlet-mapping><servlet-name>count</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
</web-app>
"""

# bindOnInit false: the ports open when the applications have started and have their copies, and not before. So a health
# check by TCP is enough.
#
# channelSendOptions 6: the other member has acknowledged a copy before the client has its answer. By default copies are
# sent some time later, and those that a killed node had yet to send are lost, whatever the load balancer does.
SERVER = """<Server port="-1">
  <Service name="Catalina">
{connectors}
    <Engine name="Catalina" defaultHost="any">
      <Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster" channelSendOptions="6">
        <Channel className="org.apache.catalina.tribes.group.GroupChannel">
          <Membership className="org.apache.catalina.tribes.membership.StaticMembershipService"
                      useThread="true" pingInterval="500">
{members}
          </Membership>
          <Receiver className="org.apache.catalina.tribes.transport.nio.NioReceiver"
                    address="{address}" port="{port}" autoBind="0" maxThreads="6"/>
          <Interceptor className="org.apache.catalina.tribes.group.interceptors.TcpFailureDetector"/>
          <Interceptor className="org.apache.catalina.tribes.group.interceptors.MessageDispatchInterceptor"/>
        </Channel>
        <Valve className="org.apache.catalina.ha.tcp.ReplicationValve"/>
        <ClusterListener className="org.apache.catalina.ha.session.ClusterSessionListener"/>
      </Cluster>
      <Host name="any" autoDeploy="false" deployOnStartup="false">
{contexts}
      </Host>
    </Engine>
  </Service>
</Server>
"""


def missing():
    """What Tomcat needs and is not here."""
    return [str(path) for path in (HOME, JAVA, COMPILER) if not path.exists()]


def compile_application(directory):
    """The web application that all nodes of a lab have."""
    classes = directory / "WEB-INF/classes"
    classes.mkdir(parents=True)
    (directory / "WEB-INF/web.xml").write_text(WEB)
    subprocess.run([JAVA, *JVM, "-cp", COMPILER, "org.eclipse.jdt.internal.compiler.batch.Main", "-proc:none", "-17",
                    "-cp", HOME / "lib/servlet-api.jar", "-d", classes, pathlib.Path(__file__).with_name("Count.java")],
                   check=True, timeout=60)


# A node finds itself in the list by its address; the id is its name among the members, and must be a new one after a
# restart. For a node that reaches no other member does not notice that the other one is gone (as of 10.1, its ping ends
# before it looks for who is overdue): one that came back under its old id would be taken for one that never left, and
# nothing would be copied to it.
def member_xml(address):
    unique = ",".join(str(byte - 128) for byte in os.urandom(16))
    return (f'            <Member className="org.apache.catalina.tribes.membership.StaticMember" host="{address}"'
            f' port="{MEMBER_PORT}" securePort="-1" uniqueId="{{{unique}}}"/>')


def context_xml(path, manager, application):
    return (f'        <Context path="/{path}" docBase="{application}"><JarScanner scanClassPath="false"/>'
            f'<Manager className="org.apache.catalina.ha.session.{manager}"/></Context>')


def server_xml(address, members, ports, application):
    return SERVER.format(
        address=address,
        port=MEMBER_PORT,
        connectors="\n".join(f'    <Connector port="{port}" bindOnInit="false" maxThreads="10"/>' for port in ports),
        members="\n".join(member_xml(member) for member in members),
        contexts="\n".join(context_xml(path, manager, application) for path, manager in MANAGERS.items()))


class Node:
    """Tomcat on a backend; `members` are all the backends of its cluster."""

    def __init__(self, lab, backend, members, ports, application):
        self.lab = lab
        self.backend = backend
        self.members = members
        self.ports = ports
        self.application = application
        self.base = lab.state / f"{backend}-tomcat"
        self.process = None
        (self.base / "conf").mkdir(parents=True)
        (self.base / "temp").mkdir()

    def start(self):
        addresses = [f"192.0.2.{10 + int(member[1:])}" for member in self.members]
        own = addresses[self.members.index(self.backend)]
        (self.base / "conf/server.xml").write_text(server_xml(own, addresses, self.ports, self.application))
        with open(self.base / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/berth-{self.lab.name}-{self.backend}", "--", JAVA, *JVM,
                 f"-Dnode={self.backend}", f"-Dcatalina.home={HOME}", f"-Dcatalina.base={self.base}",
                 f"-Djava.io.tmpdir={self.base}/temp", "-cp", f"{HOME}/bin/bootstrap.jar:{HOME}/bin/tomcat-juli.jar",
                 "org.apache.catalina.startup.Bootstrap", "start"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def listens(self):
        assert self.is_running(), f"Tomcat on {self.backend} ended:\n{self.log()}"
        try:
            with self.lab.inside(self.backend):
                socket.create_connection(("127.0.0.1", self.ports[-1]), timeout=1).close()
            return True
        except OSError:
            return False

    def kill(self):
        """As a power cut does: no farewell to the other members."""
        if self.is_running():
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def log(self):
        return (self.base / "log").read_text()[-3000:]


def start_nodes(*nodes):
    """Not two members of one cluster at once: each would ask the other for its sessions before either can answer."""
    for node in nodes:
        node.start()
    for node in nodes:
        wait_for(node.listens, 30, what=f"Tomcat on {node.backend}")
