import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** Prints files, lines and bytes of all .gz files below a directory, as Java reads them. */
public final class ReadJava {
    public static void main(String[] arguments) throws Exception {
        List<Path> files;
        try (var walk = Files.walk(Path.of(arguments[0]))) {
            files = walk.filter(path -> path.toString().endsWith(".gz")).toList();
        }
        long lines = 0;
        long bytes = 0;
        byte[] buffer = new byte[1 << 16];
        for (Path file : files) {
            try (InputStream in = new GZIPInputStream(Files.newInputStream(file))) {
                for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                    bytes += count;
                    for (int index = 0; index < count; index++) {
                        if (buffer[index] == '\n') {
                            lines++;
                        }
                    }
                }
            }
        }
        System.out.println(files.size() + " " + lines + " " + bytes);
    }
}
