import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBRequestHandler;
import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBServerHandler;
import java.net.InetSocketAddress;
import org.eclipse.jetty.server.Server;

/** Amazon's DynamoDB Local on 127.0.0.1 only. Its own main class listens on all interfaces, and tells Amazon that it is used. */
class Loopback {
    /** usage: Loopback PORT [DIRECTORY], which keeps the data if it is given. */
    public static void main(String[] arguments) throws Exception {
        var directory = arguments.length > 1 ? arguments[1] : null;
        var requests = new LocalDynamoDBRequestHandler(0, directory == null, directory, true, false);
        var server = new Server(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        server.setHandler(new LocalDynamoDBServerHandler(requests, null));
        server.start();
        server.join();
    }
}
